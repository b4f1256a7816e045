"""How the formats are built: a parser for each, and what of a file is kept when its metadata are left out."""
