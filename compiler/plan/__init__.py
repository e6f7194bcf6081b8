"""The plan: its data, its files, its checker, its text, its picture."""
