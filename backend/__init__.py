"""The torch side: what a training program touches. Its operators register with `backend.ops`."""
