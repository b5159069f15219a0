"""The work on a file in S3: planned once, scored in parts side by side, joined in order, committed by one put-new."""
