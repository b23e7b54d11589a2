"""Not a stage: prove backpropagation right for every layer and loss."""

import typer

from pipeline.base.errors import PipelineError, reports_errors


@reports_errors
def main(
    tolerance: float = typer.Option(1e-6, min=0.0, help="Largest relative error allowed."),
    side: int = typer.Option(8, min=6, max=28, help="Rows and columns of the images."),
    seed: int = typer.Option(1, min=0, help="Of weights and images."),
) -> None:
    """Compare each derivative with central differences and complex steps; print the largest relative errors.

    Example: pipeline gradcheck --side 12
    """
    import numpy as np

    from pipeline.nn.check import FLOAT64, check, every_loss, every_net, example

    worst = np.zeros(3)
    typer.echo(f"{'layers':34}{'loss':20}{'differences':>12}{'complex step':>14}{'directions':>12}")
    for layers, net in every_net(side):
        for name, loss in every_loss():
            found = check(FLOAT64, net, loss, *example(net, side, seed))
            errors = np.max([row[1:] for row in found], axis=0)  # np.max keeps NaN, which max may drop
            typer.echo(f"{layers:34}{name:20}{errors[0]:12.1e}{errors[1]:14.1e}{errors[2]:12.1e}")
            worst = np.maximum(worst, errors)
    off = f"off by {worst.max():.1e}, more than {tolerance:.1e}; see the table above"
    if not worst[0] <= tolerance:
        raise PipelineError(f"backpropagation is {off}.")
    if not worst.max() <= tolerance:
        raise PipelineError(
            f"complex steps are {off}. Differences agree: a formula may be wrong for complex numbers alone; write |x| "
            "as np.maximum(x, -x)."
        )
    typer.echo(f"Backpropagation is right: no derivative is off by more than {worst.max():.1e}.")
