"""The configuration of a run: frozen, validated, and the same after a round trip through JSON.

Every field carries its description and unit; `vagram_tf.commands.flags` turns the fields into flags, and `presets`
fills them per environment. Nothing here reads flags or imports TensorFlow.
"""

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from vagram_tf import checks, schedules
from vagram_tf.schedules import Schedule

LOSSES = ("mle", "mse", "itervaml", "calibrated_itervaml", "taylor", "vagram")
DISTRACTOR_KINDS = ("linear", "nonlinear", "noise", "correlated", "rotation", "bystander")
VARIANCE_BOUNDS = ("relative", "absolute", "fixed")
VALUE_FUNCTIONS = ("all", "critics", "targets")
VALUE_GRADIENT_WEIGHTS = ("separable", "dimension", "agreement", "example")
VALUE_GRADIENT_SCALES = ("rms", "none")
MODEL_TARGETS = ("change", "state")
TERMINATIONS = ("auto", "none", "learned")
ROLLOUT_NOISES = ("auto", "on", "off")
ROLLOUT_MODELS = ("learned", "simulator", "none")


def _field(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class EnvConfig:
    """The task."""

    name: str = _field("InvertedPendulum-v5", "environment: a Gymnasium id, dm_control/..., or module:EnvId")
    distractors: int = _field(0, "superfluous observation dimensions appended to the task's own")
    distractor_kind: str = _field("nonlinear", f"their dynamics: {', '.join(DISTRACTOR_KINDS)}")
    distractor_seed: int = _field(0, "seed of the distractors' dynamics, the same in training and evaluation")
    termination: str = _field(
        "auto", "where imagined rollouts end: learned (a classifier's rule), auto (the task's own where known), none")

    def __post_init__(self) -> None:
        checks.at_least(0, distractors=self.distractors, distractor_seed=self.distractor_seed)
        checks.one_of("distractor_kind", self.distractor_kind, DISTRACTOR_KINDS)
        checks.one_of("termination", self.termination, TERMINATIONS)


@dataclass(frozen=True)
class ModelConfig:
    """The dynamics ensemble and how it is fitted (defaults: MBPO)."""

    loss: str = _field("vagram", f"model objective: {', '.join(LOSSES)}, or module:name for one of your own")
    members: int = _field(7, "networks in the ensemble")
    elites: int = _field(5, "members, best on the holdout, that rollouts use")
    model_hidden_units: tuple[int, ...] = _field((200, 200, 200, 200), "units of each hidden layer of a member")
    model_learning_rate: float = _field(3e-3, "Adam's learning rate for the ensemble")
    model_weight_decay: float = _field(5e-5, "decoupled (AdamW): per step, kernels lose this times the rate")
    model_averaging: float = _field(
        0.98, "share of the averaged weights, which a fit judges and keeps, that each gradient step leaves; 0: no mean")
    model_batch_size: int = _field(256, "examples per member and gradient step")
    holdout_share: float = _field(0.2, "share of the real data held out from a fit")
    max_holdout: int = _field(5000, "most transitions held out")
    patience: int = _field(5, "epochs of a fit without an improvement by 1 % before it ends")
    patience_steps: int = _field(50, "gradient steps of a fit without such an improvement before it ends, at least")
    max_fit_steps: int = _field(2000, "most gradient steps of one fit, which bounds its cost as the data grow")
    variance_bounds: str = _field(
        "relative", "of log-variances: relative (to the targets', learned), absolute (learned, MBPO), fixed (VaGraM)")
    model_target: str = _field("change", "what the heads predict: the state's change, or the next state itself")
    value_functions: str = _field("critics", "what value-aware losses see: critics, targets, all (both)")
    value_gradient_weights: str = _field(
        "separable", "vagram's weights: separable (dimension times example), dimension, agreement, example (paper)")
    value_samples: int = _field(2, "samples of the predicted state that calibrated_itervaml values, at least 2")
    value_gradient_scale: str = _field("rms", "rms: logarithms of terms in units of knowing nothing; none: raw sum")
    value_gradient_quantile: float = _field(0.95, "value gradients longer than this quantile of norms are cut to it")
    reward_weight: float = _field(0.1, "weight of the reward's error against the state term; 1 in a likelihood")
    warm_up_epochs: float = _field(1.0, "epochs in which value-aware objectives add the mse")

    def __post_init__(self) -> None:
        if self.loss not in LOSSES and ":" not in self.loss:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, or module:name, got {self.loss!r}")
        checks.at_least(1, members=self.members, elites=self.elites, model_batch_size=self.model_batch_size,
                        patience=self.patience, patience_steps=self.patience_steps, max_fit_steps=self.max_fit_steps,
                        max_holdout=self.max_holdout)
        checks.at_least(2, value_samples=self.value_samples)
        if self.elites > self.members:
            raise ValueError(f"elites ({self.elites}) must not exceed members ({self.members})")
        checks.hidden_units("model_hidden_units", self.model_hidden_units)
        checks.positive(model_learning_rate=self.model_learning_rate, holdout_share=self.holdout_share,
                        value_gradient_quantile=self.value_gradient_quantile)
        checks.at_least(0, model_weight_decay=self.model_weight_decay, reward_weight=self.reward_weight,
                        warm_up_epochs=self.warm_up_epochs)
        checks.share_below_one(model_averaging=self.model_averaging)
        checks.within(0, 0.9, holdout_share=self.holdout_share)
        checks.within(0, 1, value_gradient_quantile=self.value_gradient_quantile)
        checks.one_of("variance_bounds", self.variance_bounds, VARIANCE_BOUNDS)
        checks.one_of("value_functions", self.value_functions, VALUE_FUNCTIONS)
        checks.one_of("value_gradient_weights", self.value_gradient_weights, VALUE_GRADIENT_WEIGHTS)
        if (self.value_gradient_weights, self.value_functions) == ("agreement", "all"):
            raise ValueError("for agreement, value_functions must be critics or targets, got 'all'")
        checks.one_of("model_target", self.model_target, MODEL_TARGETS)
        checks.one_of("value_gradient_scale", self.value_gradient_scale, VALUE_GRADIENT_SCALES)


@dataclass(frozen=True)
class AgentConfig:
    """Soft actor-critic (defaults: MBPO)."""

    agent_hidden_units: tuple[int, ...] = _field((256, 256), "units of each hidden layer of actor and critics")
    feature_normalization: bool = _field(False, "scale the last hidden layers to unit norm (VaGraM)")
    layer_normalization: bool = _field(True, "normalise the critics' hidden layers, so that Q cannot run away (RLPD)")
    observation_normalization: bool = _field(False, "scale observations by their spread in the random steps")
    actor_learning_rate: float = _field(3e-4, "Adam's learning rate for the actor")
    critic_learning_rate: float = _field(3e-4, "Adam's learning rate for the critics")
    temperature_learning_rate: float = _field(3e-4, "Adam's learning rate for the entropy temperature")
    initial_temperature: float = _field(0.1, "entropy temperature at the start; it is learned")
    target_entropy: float | None = _field(None, "entropy that the temperature aims at, in nats; unset: minus half of A")
    discount: float = _field(0.99, "discount per environment step")
    target_update_rate: float = _field(0.005, "share of the critic that enters its target at an update")
    target_update_period: int = _field(1, "SAC updates between updates of the targets")
    agent_batch_size: int = _field(256, "transitions per SAC update")

    def __post_init__(self) -> None:
        checks.hidden_units("agent_hidden_units", self.agent_hidden_units)
        checks.positive(actor_learning_rate=self.actor_learning_rate, critic_learning_rate=self.critic_learning_rate,
                        temperature_learning_rate=self.temperature_learning_rate,
                        initial_temperature=self.initial_temperature, target_update_rate=self.target_update_rate)
        checks.within(0, 1, target_update_rate=self.target_update_rate)
        if self.target_entropy is not None and not math.isfinite(self.target_entropy):
            raise ValueError(f"target_entropy must be finite, got {self.target_entropy}")
        checks.share_below_one(discount=self.discount)
        checks.at_least(1, target_update_period=self.target_update_period, agent_batch_size=self.agent_batch_size)


@dataclass(frozen=True)
class DynaConfig:
    """How the real world, the model and the agent take turns (defaults: MBPO on InvertedPendulum)."""

    num_steps: int = _field(3000, "training steps in the environment, after the random ones")
    random_steps: int = _field(1000, "environment steps with uniformly random actions before training")
    epoch_length: int = _field(1000, "training steps per epoch, the unit of the schedules and of evaluations")
    retrain_every: int = _field(250, "training steps between model fits")
    updates_per_step: int = _field(20, "SAC updates per training step")
    rollouts_per_step: int = _field(400, "imagined rollouts per training step, started together after each fit")
    rollout_schedule: Schedule = _field((20, 150, 1, 1), "rollout length: from epoch, to epoch, from steps, to steps")
    imagined_share: Schedule = _field((0, 0, 0.95, 0.95), "imagined share of a batch: from epoch, to epoch, from, to")
    retain_epochs: int = _field(1, "epochs of imagined data kept")
    rollout_model: str = _field(
        "learned", "where rollouts happen: learned (ensemble), simulator (perfect), none (SAC on real data alone)")
    rollout_shrinkage: float = _field(0.0, "share of each change of state that rollouts leave out: a worse model")
    rollout_noise: str = _field("auto", "sample the predicted noise in rollouts: auto (if the loss trains it), on, off")
    replay_capacity: int = _field(1_000_000, "most real transitions kept; beyond, the oldest go")

    def __post_init__(self) -> None:
        checks.at_least(1, num_steps=self.num_steps, random_steps=self.random_steps, epoch_length=self.epoch_length,
                        retrain_every=self.retrain_every, updates_per_step=self.updates_per_step,
                        rollouts_per_step=self.rollouts_per_step, retain_epochs=self.retain_epochs,
                        replay_capacity=self.replay_capacity)
        schedules.check("rollout_schedule", self.rollout_schedule, 1, 1000)
        schedules.check("imagined_share", self.imagined_share, 0, 1)
        checks.one_of("rollout_model", self.rollout_model, ROLLOUT_MODELS)
        checks.within(0, 1, rollout_shrinkage=self.rollout_shrinkage)
        checks.one_of("rollout_noise", self.rollout_noise, ROLLOUT_NOISES)
        if self.random_steps < 10:
            raise ValueError(f"random_steps must be at least 10, to fit a first model on, got {self.random_steps}")


@dataclass(frozen=True)
class RunConfig:
    """What is measured and kept."""

    seed: int = _field(0, "seed of everything random in the run")
    threads: int = _field(2, "threads of an operation; the order of sums, so the last bits of a run, depends on it")
    eval_every: int = _field(1000, "environment steps between evaluations")
    eval_episodes: int = _field(10, "greedy episodes per evaluation")
    video_steps: int = _field(150, "steps of the greedy policy drawn as a video at the end of the run; 0: no video")
    export_every: int = _field(0, "environment steps between exports; 0 exports at the end only")
    environment_timeout: float = _field(60.0, "seconds after which a step or reset of the environment has hung")
    checkpoint_every: int = _field(1000, "environment steps between checkpoints; 0 checkpoints at the end only")
    divergence_factor: float = _field(
        10.0, "stop when |Q| exceeds this many times the largest discounted sum of the rewards seen")

    def __post_init__(self) -> None:
        checks.at_least(0, seed=self.seed, video_steps=self.video_steps, export_every=self.export_every,
                        checkpoint_every=self.checkpoint_every)
        checks.positive(environment_timeout=self.environment_timeout)
        checks.at_least(1, threads=self.threads, eval_every=self.eval_every, eval_episodes=self.eval_episodes,
                        divergence_factor=self.divergence_factor)


@dataclass(frozen=True)
class Config:
    """Everything that a run is a function of."""

    env: EnvConfig = EnvConfig()
    model: ModelConfig = ModelConfig()
    agent: AgentConfig = AgentConfig()
    dyna: DynaConfig = DynaConfig()
    run: RunConfig = RunConfig()

    def replace(self, **changes: Any) -> "Config":
        """Returns a copy with fields changed by name, whichever section they are in: `replace(loss="mle")`.

        Raises:
          ValueError: no section has such a field, or its value is impossible.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            if name not in FIELDS:
                raise ValueError(f"there is no setting {name!r}")
            sections.setdefault(FIELDS[name].section, {})[name] = value
        changed = {s: dataclasses.replace(getattr(self, s), **values) for s, values in sections.items()}
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
        changes = {}
        for section, values in sections.items():
            if section not in SECTIONS or not isinstance(values, dict):
                raise ValueError(f"not a configuration: unknown section {section!r}")
            for name, value in values.items():
                if name not in FIELDS or FIELDS[name].section != section:
                    raise ValueError(f"there is no setting {section}.{name}")
                changes[name] = _from_json_value(name, FIELDS[name].type, value)
        return cls().replace(**changes)


class Field(typing.NamedTuple):
    """Where a setting lives, its type, default and description."""

    section: str
    type: Any
    default: Any
    help: str


SECTIONS: dict[str, type] = {f.name: f.type for f in dataclasses.fields(Config)}  # type: ignore[misc]

FIELDS: dict[str, Field] = {
    f.name: Field(section, f.type, f.default, f.metadata["help"])
    for section, cls in SECTIONS.items()
    for f in dataclasses.fields(cls)
}


def _from_json_value(name: str, expected: Any, value: Any) -> Any:
    if isinstance(expected, types.UnionType):  # only `float | None`
        return None if value is None else _from_json_value(name, float, value)
    element = typing.get_args(expected)
    if element:  # a tuple of numbers
        if not isinstance(value, list):
            raise ValueError(f"{name} must be a list, got {value!r}")
        if element[-1] is not Ellipsis and len(value) != len(element):
            raise ValueError(f"{name} must have {len(element)} numbers, got {len(value)}")
        return tuple(_from_json_value(name, element[0], v) for v in value)
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{name} must be of type {expected.__name__}, got {value!r}")
    return value
