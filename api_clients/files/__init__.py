"""Pictures and clips as files: what they are, how they are uploaded, checked and put in place."""
