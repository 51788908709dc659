class RunFolder: ...  # placeholder: records helper is writing this file
