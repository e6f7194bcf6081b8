"""What the command line prints on a terminal: tables, progress and mistakes."""
