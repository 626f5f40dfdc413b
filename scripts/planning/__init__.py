"""How many cores, replicas and how much money a load takes."""
