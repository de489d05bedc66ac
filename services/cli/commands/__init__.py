"""The commands of `earnback`, a module per group: read arguments, call one thing, print."""
