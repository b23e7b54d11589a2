"""From gzip IDX files to a judged network, in four stages.

download  fetch and verify the four files of a data set          data/raw/
convert   IDX to arrays: normalize, one-hot, shape; save         data/processed/dataset.npz
train     fit the chosen net by the chosen gradient              data/model/
evaluate  metrics and pictures                                   data/evaluation/

Each is a script, `python -m pipeline.<stage>`, that reads its own section of params.yaml and calls the libraries:
`datasets` (files, no nets), `nn` and `fast` (arrays, no files), `training`, `report` (numbers), `digit` (anyone's
picture) and `base` (what all of them use). `commands` holds what people run beside the stages: `pipeline NAME`.
"""
