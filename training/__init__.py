"""Training jobs: policies from the tables, with TRL, tracked in MLflow. Reads Delta without Spark.

command.py     `l2a train METHOD --condition NAME`
recipes.py     what a training does, in TOML; recipes/ holds those that ship
data.py        turns, objectives and dialogues of the tables, as they were at recorded versions
stages.py      a training is a chain of stages, each a model folder that is made once
tiny.py base.py sft.py dpo.py rl.py    one stage each
tracking.py    MLflow: the run, the registered model, its card
"""
