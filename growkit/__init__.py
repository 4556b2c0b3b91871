"""What the notebooks and tools use beside the method, which is `growlib` itself.

statistics   comparing the arms, with confidence intervals
tasks        three tables as tasks, beside the targets of the paper
studies      grids of settings that are computed in pieces and stored
figures      a package: how figures look, and the plots of the notebooks by what they show
widgets      sliders for any function that draws a figure
parameters   the values that each parameter of a notebook takes
tables       a table of your own as a task
remedies     what mends a table that is not read, in the words of pandas
surgery      more or fewer neurons in a torch model of your own
wiring       which layers of a torch model take the neurons of one of its layers

Within the kit, each of the first five may import those above it. The others import none of them:
`tables` imports `remedies`, and `surgery` imports `wiring`. `tasks` imports `tables`, too.
"""
