"""The command line: one file per group of verbs. Heavy imports happen inside the commands."""
