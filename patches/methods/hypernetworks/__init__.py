"""Trained editors: networks that turn the gradient of a request into an edit of the weights."""
