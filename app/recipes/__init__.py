"""Hyperparameters: named recipes, what each field means, and limits that catch mistakes."""
