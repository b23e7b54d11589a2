"""What people run beside the stages: `pipeline predict`, `pipeline compare` and the like."""
