"""An independent implementation of the repository format, made from docs/format only."""
