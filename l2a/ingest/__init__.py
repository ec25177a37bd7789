"""Reading logs: files into lines, lines into dialogues or into rejected lines with a reason."""
