"""The version that every artefact is stamped with."""

VERSION = "0.1.0"
