"""The configuration of a run: frozen, validated, and the same after a round trip through JSON.

Every field declares its default, description, unit, bounds and choices; `vagram_tf.commands.flags`
turns the fields into flags, and `presets` fills them per environment. Nothing here reads flags or
imports TensorFlow.
"""

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vagram_tf.schedules import Schedule
from vagram_tf.settings import OWN, Section, setting, unknown


@dataclass(frozen=True)
class EnvConfig(Section):
    """The task."""

    name: str = setting(
        "InvertedPendulum-v5", "environment: a Gymnasium id, dm_control/..., or module:EnvId"
    )
    distractors: int = setting(
        0, "superfluous observation dimensions appended to the task's own", low=0
    )
    distractor_kind: str = setting(
        "nonlinear",
        "their dynamics",
        choices=dict.fromkeys(
            ("linear", "nonlinear", "noise", "correlated", "rotation", "bystander"), ""
        ),
    )
    distractor_seed: int = setting(
        0, "seed of the distractors' dynamics, the same in training and evaluation", low=0
    )
    termination: str = setting(
        "auto",
        "where imagined rollouts end",
        choices={
            "auto": "the task's own rule where known",
            "none": "nowhere",
            "learned": "a classifier's rule",
        },
    )
    episode_steps: int = setting(
        1000, "longest greedy episode of a task without a time limit, in steps", low=1
    )
    instances: str = setting(
        "many",
        "environments of a process at a time",
        choices={
            "many": "evaluations have their own",
            "one": "evaluations play in the training environment, whose open episode is replayed "
            "afterwards, and there is no video",
        },
    )
    observation_origin: str = setting(
        "",
        "what is subtracted from dimensions of the task's observation, in float64, before they "
        "become float32, as index:value,index:value: for clocks and other offsets",
    )

    @property
    def world(self) -> "EnvConfig":
        """The same task, whatever is said of imagined ends, of evaluations' length and place."""
        default = EnvConfig()
        return dataclasses.replace(
            self,
            termination=default.termination,
            episode_steps=default.episode_steps,
            instances=default.instances,
        )


@dataclass(frozen=True)
class ModelConfig(Section):
    """The dynamics ensemble and how it is fitted (defaults: MBPO)."""

    loss: str = setting(
        "vagram",
        "model objective",
        choices={
            "mle": "",
            "mse": "",
            "itervaml": "",
            "calibrated_itervaml": "",
            "taylor": "",
            "vagram": "",
            OWN: "one of your own",
        },
    )
    members: int = setting(7, "networks in the ensemble", low=1)
    elites: int = setting(
        5, "members, best on the holdout, that rollouts use; no more than there are", low=1
    )
    model_hidden_units: tuple[int, ...] = setting(
        (200, 200, 200, 200), "units of each hidden layer of a member", low=1
    )
    model_learning_rate: float = setting(3e-3, "Adam's learning rate for the ensemble", above=0)
    model_weight_decay: float = setting(
        5e-5, "decoupled (AdamW): per step, kernels lose this times the rate", low=0
    )
    model_averaging: float = setting(
        0.98,
        "share of the averaged weights, which a fit judges and keeps, that each gradient step "
        "leaves; 0: no mean",
        low=0,
        below=1,
    )
    model_batch_size: int = setting(256, "examples per member and gradient step", low=1)
    holdout_share: float = setting(
        0.2, "share of the real data held out from a fit", above=0, high=0.9
    )
    max_holdout: int = setting(5000, "most transitions held out", low=1)
    patience: int = setting(
        5, "epochs of a fit without an improvement by 1 % before it ends", low=1
    )
    patience_steps: int = setting(
        50, "fewest gradient steps of a fit without such an improvement before it ends", low=1
    )
    max_fit_steps: int = setting(
        2000, "most gradient steps of one fit, which bounds its cost as the data grow", low=1
    )
    variance_bounds: str = setting(
        "relative",
        "of log-variances",
        choices={
            "relative": "to the targets', learned",
            "absolute": "learned, MBPO",
            "fixed": "VaGraM",
        },
    )
    model_target: str = setting(
        "change",
        "what the heads predict",
        choices={"change": "the state's", "state": "the next one itself"},
    )
    value_functions: str = setting(
        "critics",
        "what value-aware losses see",
        choices={"all": "both", "critics": "", "targets": ""},
    )
    value_gradient_weights: str = setting(
        "separable",
        "vagram's weights",
        choices={
            "separable": "dimension times example",
            "dimension": "",
            "agreement": "not of all value functions",
            "example": "paper",
        },
    )
    value_samples: int = setting(
        2, "samples of the predicted state that calibrated_itervaml values", low=2
    )
    value_gradient_scale: str = setting(
        "rms",
        "of terms",
        choices={"rms": "logarithms in units of knowing nothing", "none": "raw sum"},
    )
    value_gradient_quantile: float = setting(
        0.95, "value gradients longer than this quantile of norms are cut to it", above=0, high=1
    )
    reward_weight: float = setting(
        0.1, "weight of the reward's error against the state term; 1 in a likelihood", low=0
    )
    warm_up_epochs: float = setting(
        1.0, "epochs in which value-aware objectives add the mse", low=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.elites > self.members:
            raise ValueError(f"elites ({self.elites}) must not exceed members ({self.members})")
        if (self.value_gradient_weights, self.value_functions) == ("agreement", "all"):
            raise ValueError("for agreement, value_functions must be critics or targets, got 'all'")


@dataclass(frozen=True)
class AgentConfig(Section):
    """Soft actor-critic (defaults: MBPO)."""

    agent_hidden_units: tuple[int, ...] = setting(
        (256, 256), "units of each hidden layer of actor and critics", low=1
    )
    feature_normalization: bool = setting(
        False, "scale the last hidden layers to unit norm (VaGraM)"
    )
    layer_normalization: bool = setting(
        True, "normalise the critics' hidden layers, so that Q cannot run away (RLPD)"
    )
    observation_normalization: bool = setting(
        False, "scale observations by their spread in the random steps"
    )
    actor_learning_rate: float = setting(3e-4, "Adam's learning rate for the actor", above=0)
    critic_learning_rate: float = setting(3e-4, "Adam's learning rate for the critics", above=0)
    temperature_learning_rate: float = setting(
        3e-4, "Adam's learning rate for the entropy temperature; 0 holds it where it starts", low=0
    )
    initial_temperature: float = setting(0.1, "entropy temperature at the start", above=0)
    target_entropy: float | None = setting(
        None, "entropy that the temperature aims at, in nats; unset: minus half of A"
    )
    discount: float = setting(0.99, "discount per environment step", low=0, below=1)
    target_update_rate: float = setting(
        0.005, "share of the critic that enters its target at an update", above=0, high=1
    )
    target_update_period: int = setting(1, "SAC updates between updates of the targets", low=1)
    agent_batch_size: int = setting(256, "transitions per SAC update", low=1)


@dataclass(frozen=True)
class DynaConfig(Section):
    """How the real world, the model and the agent take turns (defaults: MBPO on
    InvertedPendulum).
    """

    num_steps: int = setting(
        3000, "training steps in the environment, after the random ones", low=1
    )
    random_steps: int = setting(
        1000,
        "environment steps with uniformly random actions before training, to fit a first model on",
        low=10,
    )
    epoch_length: int = setting(
        1000, "training steps per epoch, the unit of the schedules and of evaluations", low=1
    )
    retrain_every: int = setting(250, "training steps between model fits", low=1)
    updates_per_step: int = setting(20, "SAC updates per training step", low=1)
    rollouts_per_step: int = setting(
        400, "imagined rollouts per training step, started together after each fit", low=1
    )
    rollout_schedule: Schedule = setting(
        (20, 150, 1, 1),
        "rollout length: from epoch, to epoch, from steps, to steps",
        low=1,
        high=1000,
    )
    imagined_share: Schedule = setting(
        (0, 0, 0.95, 0.95),
        "imagined share of a batch: from epoch, to epoch, from, to",
        low=0,
        high=1,
    )
    retain_epochs: int = setting(1, "epochs of imagined data kept", low=1)
    rollout_model: str = setting(
        "learned",
        "where rollouts happen",
        choices={"learned": "ensemble", "simulator": "perfect", "none": "SAC on real data alone"},
    )
    rollout_shrinkage: float = setting(
        0.0, "share of each change of state that rollouts leave out: a worse model", low=0, high=1
    )
    rollout_noise: str = setting(
        "auto",
        "sample the predicted noise in rollouts",
        choices={"auto": "if the loss trains it", "on": "", "off": ""},
    )
    replay_capacity: int = setting(  # of ten, some are held out and some are not
        1_000_000, "most real transitions kept; beyond, the oldest go", low=10
    )


@dataclass(frozen=True)
class RunConfig(Section):
    """What is measured and kept."""

    seed: int = setting(0, "seed of everything random in the run", low=0)
    threads: int = setting(
        2,
        "threads of an operation; the order of sums, so the last bits of a run, depends on it",
        low=1,
    )
    eval_every: int = setting(1000, "environment steps between evaluations", low=1)
    eval_episodes: int = setting(10, "greedy episodes per evaluation", low=1)
    video_steps: int = setting(
        150, "steps of the greedy policy drawn as a video at the end of the run; 0: no video", low=0
    )
    export_every: int = setting(
        0, "environment steps between exports; 0 exports at the end only", low=0
    )
    environment_timeout: float = setting(
        60.0,
        "seconds after which a step or reset of the environment has hung, which ends the program; "
        "from Python nobody watches",
        above=0,
    )
    checkpoint_every: int = setting(
        1000, "environment steps between checkpoints; 0 checkpoints at the end only", low=0
    )
    divergence_factor: float = setting(
        10.0,
        "stop when |Q| exceeds this many times the largest discounted sum of the rewards seen",
        low=1,
    )


@dataclass(frozen=True)
class Config:
    """Everything that a run is a function of."""

    env: EnvConfig = EnvConfig()
    model: ModelConfig = ModelConfig()
    agent: AgentConfig = AgentConfig()
    dyna: DynaConfig = DynaConfig()
    run: RunConfig = RunConfig()

    def replace(self, /, **changes: Any) -> "Config":
        """Returns a copy with fields changed by name, whichever section they are in:
        `replace(loss="mle")`.

        Raises:
          ValueError: no section has such a field, or its value is impossible.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            if name not in FIELDS:
                raise ValueError(unknown(name, FIELDS))
            sections.setdefault(FIELDS[name].section, {})[name] = value
        changed = {
            s: dataclasses.replace(getattr(self, s), **values) for s, values in sections.items()
        }
        return dataclasses.replace(self, **changed)

    def flat(self) -> dict[str, Any]:
        """Returns every setting by its name."""
        return {name: getattr(getattr(self, field.section), name) for name, field in FIELDS.items()}

    def to_json(self) -> str:
        """Returns the configuration as JSON text, sections and fields in order."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Reads what `to_json` wrote.

        Raises:
          ValueError: no JSON, an unknown section or field, a value of the wrong type or impossible.
        """
        try:
            sections = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not a configuration: {error}") from None
        if not isinstance(sections, dict):
            raise ValueError("not a configuration: the JSON holds no object")
        changes: dict[str, Any] = {}
        for section, values in sections.items():
            if section not in SECTIONS or not isinstance(values, dict):
                raise ValueError(f"not a configuration: unknown section {section!r}")
            for name in values:
                if name in FIELDS and FIELDS[name].section != section:
                    raise ValueError(
                        f"{name} is a setting of {FIELDS[name].section}, not of {section}"
                    )
            changes.update(values)
        return cls().replace(**changes)


class Field(typing.NamedTuple):
    """Where a setting lives, its type and default, what it is and may be, and the texts to choose
    from, if it has any.
    """

    section: str
    type: Any
    default: Any
    help: str
    choices: Mapping[str, str]


def _field(section: str, field: dataclasses.Field) -> Field:
    description, values = field.metadata["description"], field.metadata["values"]
    return Field(
        section, field.type, field.default, values.help(description, field.type), values.choices
    )


SECTIONS: dict[str, type] = {f.name: f.type for f in dataclasses.fields(Config)}  # type: ignore[misc]

FIELDS: dict[str, Field] = {
    f.name: _field(section, f) for section, cls in SECTIONS.items() for f in dataclasses.fields(cls)
}

VALUE_AWARE = ("itervaml", "calibrated_itervaml", "taylor", "vagram")  # need value functions
LOSSES = tuple(loss for loss in FIELDS["loss"].choices if loss != OWN)
DISTRACTOR_KINDS = tuple(FIELDS["distractor_kind"].choices)
VALUE_GRADIENT_WEIGHTS = tuple(FIELDS["value_gradient_weights"].choices)
