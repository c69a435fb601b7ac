"""From a record of any supported layout to a conversation."""
