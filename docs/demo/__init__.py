"""The whole story on real data: every flight out of New York in 2013."""
