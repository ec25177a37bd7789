"""An endpoint of one's own: vLLM on a model folder, started, watched and stopped. `l2a serve`.

tiny.py          a model of 0.7 M parameters, made from scratch: a real vLLM to try and test against, without a download
tiny_tokens.py   its tokenizer and chat template
folder.py        a model folder on disk: is it one, and which version of weights it holds
policies.py      registered policies as what one server is started with: a whole model, or adapters of one base
process.py       vLLM as a child process, up to its first answer and down to its last process
keeper.py        stands between the two, so that no server outlives who started it
command.py       `l2a serve`
"""
