"""Pictures for Discord, drawn in a process of their own: how many calls and LLM tokens were used, day by day."""

from bot.charts.drawer import ChartDrawer, ChartError
from bot.charts.series import ChartLabels, UsageSeries

__all__ = ["ChartDrawer", "ChartError", "ChartLabels", "UsageSeries"]
