"""A made-up patient with a known truth; numpy only."""
