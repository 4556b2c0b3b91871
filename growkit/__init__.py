"""What the notebooks and tools need beside the method: tables, models, studies, statistics, figures, widgets."""
