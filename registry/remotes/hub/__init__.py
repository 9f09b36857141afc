"""The Hugging Face Hub as a remote: one repository a patch, one commit and one tag a version."""
