"""From a torch model to a dataflow plan.

    model --capture--> Graph --group, coarsen, cut--> Stages --map--> Kernels
          --place, balance--> Placement --emit--> Plan

Reading order: pipeline (the path as one sentence), plan/ (the result, and the only door to the
simulator and the runtime), targets/ (machines as data), capture/, stages/, kernels/ (what operators
cost), mapping/, place/, emit/; then what calls the sentence: fit/, recipes/, remap/. driver runs a
pass, artefacts verifies what it made.
"""
