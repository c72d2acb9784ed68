"""The HTTP service: authentication, allowance, queue, and one module per dialect. SQL lives in `storage`."""
