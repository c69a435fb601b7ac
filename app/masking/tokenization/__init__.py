"""A model folder's tokenizer: text to ids with the characters each id covers, and back."""
