"""The parts of the interference experiment: pairs of edits, what they do, what predicts it."""
