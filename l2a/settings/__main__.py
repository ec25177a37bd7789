from l2a.settings.example import example

print(example(), end="")
