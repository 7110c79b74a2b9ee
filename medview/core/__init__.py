"""The data model: geometry, volumes, label maps, cases; numpy only."""
