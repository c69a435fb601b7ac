"""The worker's parent process: owns the queue and the database, imports no torch.

`celery_app` wires it · `runner` the one task · `supervisor` one job from claim to end, writing through `attempt` (lease, events,
patience with the database), `standstill` whether its processes still do anything, `exits` what is said of a process that was
killed · `child_process` the job's child, `allocator` its memory where it trains · `going` what a job does in this
process itself · `untold` what a lost worker had not stored · `handlers` which domain does which kind · `chat_desk`, `warm_chat` chat
answers, `overheard` what their process prints · `messenger` tells of ends · `tracking` tells trackers · `reconciler` lost bells and
expired leases.
"""
