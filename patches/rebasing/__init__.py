"""A patch on another base: its delta carried over, or its requests carried out again."""
