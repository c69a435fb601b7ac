"""What a person says of a file whose layout nobody knows: `model` the mapping itself · `dialogues` records by it into dialogues ·
`chat_log` text that people copied from a chat · `sample` what a file holds, for the person to look at · `suggesting` the mapping
that the names in a file suggest · `trying` both on the beginning of an upload · `unread` what a
mapping leaves."""
