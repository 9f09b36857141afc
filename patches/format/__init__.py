"""A patch as files: containers, manifest and card, read strictly and written reproducibly."""
