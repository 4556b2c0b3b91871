"""How figures look, and the plots that notebooks share, by what they show.

style          sizes, colours and dashes; new_figure, save_figure, save_animation
arms           each arm over the epochs, its fit, and where it ends
distributions  the final losses of all trials: mirrored histograms, fractions below a loss
ratios         an arm against another: ratios, probabilities, counts and tables of ratios
coupling       a sweep of λ: heat maps, and all networks at one λ
network        a network that is growing: weights, fit and size at one epoch
planes         the spirals, and the classes that a network finds in the plane
scaling        results against the width, the learning rate or the number of classes

A function `plot_…` plots into one Axes, and `draw_…` returns a whole figure. A notebook makes a
figure with one of them or with `new_figure`, and ends with `save_figure`. All public names can be
used from here, as in `figures.plot_ratios`. What several modules need stands in `style`;
`scaling` also imports from `arms` and `ratios`, and the others import from `style` alone.
"""

from growkit.figures.arms import (
    draw_arms,
    draw_fits,
    plot_against_operations,
    plot_arm_levels,
    plot_bands,
    plot_fit_errors,
    plot_histories,
)
from growkit.figures.coupling import draw_coupling, plot_map
from growkit.figures.distributions import plot_cumulative, plot_mirrored, plot_sides
from growkit.figures.network import draw_moment, plot_network
from growkit.figures.planes import draw_planes, plot_arms, plot_classes
from growkit.figures.ratios import (
    draw_counts,
    draw_ratio_tables,
    draw_ratios,
    plot_estimates,
    plot_probabilities,
    plot_ratios,
)
from growkit.figures.scaling import (
    draw_accuracy,
    draw_best_rates,
    draw_lead,
    draw_longer,
    draw_power_law,
    draw_rates,
    draw_setting,
    draw_slopes,
    plot_bounds,
    plot_scaling,
)
from growkit.figures.style import (
    COLOURS,
    DASHES,
    LAYERS,
    NEGATIVE,
    PAGE,
    POSITIVE,
    RATIOS,
    SIGNED,
    WIDTHS,
    Picture,
    line_style,
    new_figure,
    plain_ticks,
    save_animation,
    save_figure,
)

__all__ = [
    "COLOURS",
    "DASHES",
    "LAYERS",
    "NEGATIVE",
    "PAGE",
    "POSITIVE",
    "RATIOS",
    "SIGNED",
    "WIDTHS",
    "Picture",
    "draw_accuracy",
    "draw_arms",
    "draw_best_rates",
    "draw_counts",
    "draw_coupling",
    "draw_fits",
    "draw_lead",
    "draw_longer",
    "draw_moment",
    "draw_planes",
    "draw_power_law",
    "draw_rates",
    "draw_ratio_tables",
    "draw_ratios",
    "draw_setting",
    "draw_slopes",
    "line_style",
    "new_figure",
    "plain_ticks",
    "plot_against_operations",
    "plot_arm_levels",
    "plot_arms",
    "plot_bands",
    "plot_bounds",
    "plot_classes",
    "plot_cumulative",
    "plot_estimates",
    "plot_fit_errors",
    "plot_histories",
    "plot_map",
    "plot_mirrored",
    "plot_network",
    "plot_probabilities",
    "plot_ratios",
    "plot_scaling",
    "plot_sides",
    "save_animation",
    "save_figure",
]
