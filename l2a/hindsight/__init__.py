"""Hindsight: what a dialogue's own future says about each of its turns, the objective (I*_t, s*_t)."""
