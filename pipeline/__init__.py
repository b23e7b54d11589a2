"""From gzip IDX files to a judged network, in four stages.

download  fetch and verify the four files of a data set          data/raw/
convert   IDX to arrays: normalize, one-hot, shape; save         data/processed/dataset.npz
train     fit the chosen net by the chosen gradient              data/model/
evaluate  metrics and pictures                                   data/evaluation/

Each is a script, `python -m pipeline.<stage>`, that reads its own section of params.yaml and hands over to
three libraries: `datasets` knows files and nothing of nets, `nn` arrays and nothing of data sets, `report`
numbers and neither.
"""
