"""The documentation, and the demo told in docs/tutorial.md."""
