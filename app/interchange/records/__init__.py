"""From a record of any supported layout to a conversation.

`layouts` leads: `message_reading` one message, `labels` what is known besides, `turn_order` what is unusual · `column_map` a record
of other columns, as `dataset_info` describes it.
"""
