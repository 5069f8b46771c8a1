"""The small networks of the rhythm tier at run time: delineation, rhythm, atrial activity."""
