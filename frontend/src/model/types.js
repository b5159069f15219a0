/**
 * The documents the page reads, as `perennial.jobs.page.data` and `perennial.training.evaluation` write them.
 *
 * @typedef {{ value: number, low: number | null, high: number | null }} Metric
 * @typedef {{ rule: string, passed: boolean, reason: string, value: number | null, bound: number | null }} Rule
 *
 * @typedef {object} Comparison
 * @property {number} rows
 * @property {Record<string, number>} champion
 * @property {Record<string, number>} challenger
 * @property {number | null} gain
 * @property {number | null} low
 * @property {number | null} high
 * @property {number | null} p_value
 * @property {number | null} mcnemar
 * @property {boolean} trusted
 *
 * @typedef {object} Decision
 * @property {string} candidate
 * @property {string | null} champion
 * @property {boolean} passed
 * @property {Rule[]} rules
 * @property {{ version: string, holdout: Comparison | null, why: string, window: Comparison | null,
 *   window_why: string, untrusted: boolean } | null} [compared]
 *
 * @typedef {"champion" | "former" | "rolled_back" | "rejected" | "waiting" | "registered"} Status
 *
 * @typedef {object} Version
 * @property {string} version
 * @property {Status} status
 * @property {string} at
 * @property {string} run
 * @property {string} candidate
 * @property {string} estimator
 * @property {string} dataset
 * @property {string} code
 * @property {string} because
 * @property {Record<string, Metric>} metrics
 * @property {Metric} cross_validation
 * @property {number} holdout_rows
 * @property {Decision | null} decision
 * @property {string | null} answered_by
 * @property {string[]} files
 *
 * @typedef {object} Happening
 * @property {"promoted" | "rolled_back" | "rejected" | "waiting"} kind
 * @property {string} version
 * @property {string} at
 * @property {string} by
 * @property {string[]} reasons
 * @property {string | null} previous
 * @property {number | null} generation
 * @property {string | null} until  How long a person is waited for.
 *
 * @typedef {object} Pass
 * @property {string} run
 * @property {string} since
 * @property {string} until
 * @property {string | null} champion
 * @property {string | null} [measured]  The version that its performance is of.
 * @property {number} rows
 * @property {number} served
 * @property {number} lost
 * @property {number} duplicates
 * @property {number} labels
 * @property {number} unmatched_labels
 * @property {number} contradicted
 * @property {"ok" | "problems" | "unknown"} quality
 * @property {string[]} quality_reasons
 * @property {"ok" | "drift" | "unknown"} drift
 * @property {string} drift_why
 * @property {number | null} drift_share
 * @property {number | null} drift_bound
 * @property {number} drift_moved
 * @property {number} drift_judged
 * @property {"ok" | "decay" | "unknown"} performance
 * @property {string} performance_why
 * @property {number} needed
 * @property {boolean} retrain
 * @property {string[]} reasons
 * @property {string | null} blocked
 * @property {string[]} html
 *
 * @typedef {(number | null)[]} Column  One entry a pass.
 *
 * @typedef {object} FeatureHistory
 * @property {string} feature
 * @property {string} kind
 * @property {string} statistic
 * @property {number | null} threshold
 * @property {number} baseline_rows
 * @property {number} window_rows
 * @property {string} note
 * @property {Column} value
 * @property {Column} p_value
 * @property {(boolean | null)[]} moved
 *
 * @typedef {object} MetricHistory
 * @property {string} metric
 * @property {boolean} lower_is_better
 * @property {string} why
 * @property {Column} value
 * @property {Column} low
 * @property {Column} high
 * @property {Column} holdout
 * @property {Column} bound
 * @property {(string | null)[]} verdict
 *
 * @typedef {{ feature: string, missing: number, baseline_missing: number | null, out_of_range: number,
 *   unseen: number }} FeatureQuality
 *
 * @typedef {object} PageData
 * @property {1} format
 * @property {string} model
 * @property {string} at
 * @property {string | null} task
 * @property {string | null} target
 * @property {string | null} metric
 * @property {string | null} champion
 * @property {number | null} generation
 * @property {Version[]} versions  Newest first.
 * @property {Happening[]} events  Newest first.
 * @property {Pass[]} passes       Oldest first, as all columns.
 * @property {FeatureQuality[]} quality
 * @property {FeatureHistory[]} drift
 * @property {MetricHistory[]} performance
 * @property {string[]} left_out
 *
 * @typedef {{ name: string, x: number[], y: number[], style: string }} Series
 * @typedef {object} Chart
 * @property {string} name
 * @property {string} title
 * @property {string} summary
 * @property {string} x_label
 * @property {string} y_label
 * @property {"xy" | "bars" | "matrix"} kind
 * @property {Series[]} [series]
 * @property {string[]} [labels]
 * @property {number[]} [values]
 * @property {number[]} [errors]
 * @property {number[][]} [rows]
 *
 * @typedef {{ group: string, rows: number, metrics: Record<string, number> }} Slice
 * @typedef {{ format: 1, metric: string, classes: string[], rows: number, slices: Record<string, Slice[]>,
 *   charts: Chart[], notes: string[] }} Evaluation
 */
export {};
