"""What the notebooks and tools use beside the method, which is `growlib` itself.

statistics   comparing the arms, with confidence intervals
tasks        three tables as tasks, beside the targets of the paper
studies      grids of settings that are computed in pieces and stored
figures      how figures look, and the plots that several notebooks share
widgets      sliders for any function that draws a figure
tables       a table of your own as a task
surgery      more or fewer neurons in a torch model of your own

Every module imports growlib. Within the kit, each of the first five may import those above it.
`tables` and `surgery` import none of them; `tasks` imports `tables`.
"""
