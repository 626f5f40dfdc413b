"""What scripts/benchmark compares the service with, and how it measures."""
