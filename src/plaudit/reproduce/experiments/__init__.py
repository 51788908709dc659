"""The experiments of the ledger, a module for each family; every `Experiment` in a module here is found by its name."""
