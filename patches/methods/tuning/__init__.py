"""Methods that train weights on the requests: what is asked of the model, and the descent."""
