"""What Python holds for a model beside its tensors: where that is, and how it is put back."""
