# Texts of the pages and reports, English. The same keys stand in da.ftl; words for codes of the tables are <kind>-<code>.

skip = Skip to content
brand-home = Rettidig, start page
nav = Main menu
nav-start = Start
nav-compare = Compare
nav-compose = Compose
nav-theory = Theory of change
nav-about = Method
find-label = Find a jobcentre
find = Find
other-language = Dansk
epoch-note = What the figures on this page rest on
epoch = Epoch { $number }
as-of = As of { $date }
committed-at = Committed { $at }
seen-by = Shown to { $reader }
seen-by-all = Public view
footer = All figures on a page are of one epoch.
footer-method = Method and reservations
footer-tables = The tables as files

month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December
quarter-of = Q{ $quarter } { $year }
age-seconds = { $count } seconds
age-minutes = { $count } minutes
age-hours = { $count } hours
age-days = { $count } days
days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
months = { $count ->
    [one] { $count } month
   *[other] { $count } months
}
country = The whole country
cluster-of = Cluster { $cluster }
region-of = Region { $name }
benefit-total = All benefits
points = points
not-known = not known
no-figure = no figure
nothing-here = There are no figures here in this epoch.

status-final = final
status-provisional = provisional
status-incomplete = incomplete
status-hidden = hidden
status-missing = missing
status_means-final = The figure is published and not expected to change.
status_means-provisional = The figure is the newest one, and experience says that it changes at the next release.
status_means-incomplete = Some of the expected deliveries are missing. The figure tells of the deliveries and not of the labour market alone.
status_means-hidden = There are 1-4 persons behind the figure, or it could be used to work out such a figure (diskretioneret).
status_means-missing = The figure is not there yet. A missing figure is never nought.
target-on_track = on track
target-drifting = drifting
target-insufficient = cannot be judged
target-incomplete = incomplete data
target-source_late = source is late
target_means-on_track = The level lies where chance may take an area that is on its path to the target.
target_means-drifting = In two periods in a row the level lies farther from the path to the target than chance explains, also when all targets are judged at once.
target_means-insufficient = Less than a year is known before the zero point, the figure is hidden, or no counts are known behind a percentage.
target_means-incomplete = Figures of the area are missing. That says nothing about the labour market.
target_means-source_late = The newest period did not come in time. That says nothing about the labour market.
local-reached = target reached
local-on_path = on the path
local-behind = behind
local-provisional = provisional
local-incomplete = incomplete
local-not_known = not known
guard-reached = target reached
guard-reached_without_hardest = reached, but not for those farthest from work
guard-not_reached = not reached
guard-not_yet_knowable = not yet knowable
kind-municipality = municipality
kind-jobcentre = jobcentre
kind-cluster = cluster
kind-region = region
kind-country = whole country
kinds-municipality = Municipalities
kinds-jobcentre = Jobcentres
kinds-cluster = Clusters
kinds-region = Regions
kinds-country = The whole country
cause-first = first publication
cause-late = late data
cause-correction = correction
cause-official_release = new official release
cause-definition = changed definition
completeness-complete = complete
completeness-incomplete = incomplete
node-known = known
node-not_fed = no figures yet
node-missing = no settled figure yet
node-hidden = hidden
node-outdated = too old to tell about now
node-no_comparison = no figure of the year before
node-indicator = indicator
node-activity = activity
node-resource = resource
diagnosis-implementation = not delivered
diagnosis-theory = delivered, and no result with it
diagnosis-as_intended = delivered, and the result with it
diagnosis-not_yet_knowable = not yet knowable
unit-persons = persons
unit-full_time_persons = full-time persons
unit-percent = per cent
unit-spells = spells
unit-weeks = weeks
unit-kr_ = kr.
unit-mio__kr_ = million kr.
unit-interviews = interviews
unit-tests = tests
unit-decisions = decisions
unit-percent_of_the_labour_force = per cent of the labour force
unit-percentage_points = percentage points
system-amanda = Case system (AMANDA): registrations, interviews, activation
system-yr = Refund of benefits (Ydelsesrefusion): payments
system-ky = Benefit system (KY): benefit periods
system-income = Income: wages and hours
system-cpr = Register of persons: origin, moves and deaths
system-sprog = Language schools: Danish tests
breakdown-total = no breakdown
breakdown-offer = offer
breakdown-visitation = assessed group
breakdown-sector = sector
breakdown-age = age
breakdown-sex = sex
breakdown-origin = origin
breakdown-weeks = weeks
breakdown-week = week
breakdown-next_benefit = next benefit
cut-total = all
cut-male = men
cut-female = women
cut-danish = Danish
cut-western = Western
cut-non_western = non-Western
cut-unknown = unknown
cut-others = others
cut-none = none
cut-private = private
cut-public = public
tercile-1 = best third
tercile-2 = middle third
tercile-3 = worst third

start-title = Start
start-heading = Employment figures, on time
start-lede = How fresh the sources are, who drifts from a target and why, and what is missing. Figures that are missing or late never count as a problem of the labour market.
start-glance = At a glance
tile-drifting = { $count ->
    [one] jobcentre drifts from a target
   *[other] jobcentres drift from a target
}
tile-late = { $count ->
    [one] source is late
   *[other] sources are late
}
tile-incomplete = { $count ->
    [one] delivery is incomplete
   *[other] deliveries are incomplete
}
tile-jobcentres = jobcentres in all
drifting = Who drifts from the target, and why
drifting-explained = A jobcentre drifts when the level of the newest three months lies, twice in a row, farther from the path to the target than chance explains. The targets are examples, nobody's goals.
drifting-caption = The surest first: where the level lies, where it was expected, and the limit of chance
drifting-more = { $count ->
    [one] Show { $count } more
   *[other] Show { $count } more
}
drifting-rest = The others that drift from the target
nobody-drifts = Nobody drifts from a target.
not-judged = Not judged: late, incomplete or too little known
not-judged-explained = These targets are not judged until the figures are there. They stand apart because they tell of data and not of the labour market.
not-judged-count = { $count ->
    [one] Show { $count } target
   *[other] Show { $count } targets
}
all-judged = All targets are judged.
freshness = How fresh the sources are
freshness-explained = Each source has a rhythm of its own. It is late when its next delivery is later than it usually is. The official lag is the time from the end of a period to its publication today.
freshness-official = Official sources
freshness-systems = The municipalities' own systems
not-published = not told
replaces-none = replaces none
habit-unknown = rhythm not known yet
late = late
late-count = { $count ->
    [one] { $count } late
   *[other] { $count } late
}
in-time = in time
late-sources = Systems that are late
late-since = expected by { $date }
incomplete = Incomplete deliveries
incomplete-explained = Less has arrived than the source usually delivers for the period. Figures that rest on it are marked as incomplete.
incomplete-caption = Received against the usual, newest period first
incomplete-more = { $count ->
    [one] Show { $count } more
   *[other] Show { $count } more
}
incomplete-rest = The other incomplete deliveries
all-complete = All deliveries are complete.
jobcentres = Jobcentres
all-jobcentres = All jobcentres

column-jobcentre = Jobcentre
column-indicator = Indicator
column-value = Value
column-level = Level (3 months)
column-expected = Expected level
column-limit = Limit
column-beyond = Above/below expected
column-chance = p value
column-reach = Probability of reaching the target
column-area = Area
column-period = Period
column-state = State
column-source = Source
column-newest-period = Newest period up to
column-published = Published
column-age = Retrieved ago
column-official-lag = Official lag
column-next-due = Next expected by
column-system = System
column-sources = Municipalities
column-newest-age = Newest ago
column-oldest-age = Oldest ago
column-municipality = Municipality
column-received = Received
column-usual = Usual
column-path = On the path to the target
column-low-limit = Lower limit
column-high-limit = Upper limit
column-result = Result
column-own = Own
column-last-year = Year before
column-development = Development
column-own-level = Own level
column-cluster = Level of the cluster
column-best-worst = Best / worst of the cluster
column-third = Place in the cluster
column-target = Target for
column-goal = Target
column-realised = Realised share
column-figure = Figure
column-settles = Expected to settle at
column-between = In 9 of 10 cases between
column-low = Low estimate (5 %)
column-high = High estimate (95 %)
column-before = Before
column-after = After
column-change = Change
column-known = Known since
column-cause = Cause
column-complete = Complete periods
column-incomplete = Incomplete periods
column-rank = No.
column-unit = Unit
column-status = Status
column-better = Best
column-why = Why

find-title = Find a jobcentre
find-several = Several jobcentres are like “{ $asked }”:
find-all = Write the name of a jobcentre or a municipality.
find-nothing = No jobcentre is like “{ $asked }”.

error-not-found = Not there
error-refused = The request was not understood
error-ours = A fault of ours
error-broken = The page could not be made. The fault is noted with who runs this service; try again in a while.
error-not-yet = No figures yet
error-no-epoch = No epoch has been committed yet. Try again when the first data have been read.
error-no-page = There is no page at the address “{ $path }”.
error-no-jobcentre = There is no jobcentre with the code “{ $code }”. A code has four digits, e.g. 0101 for København.
error-near = Did you mean:
error-home = To the start page
error-parameter = The address has “{ $name }”, which this page does not know. It knows: { $names }
error-value = “{ $value }” is not there for { $name } here. Choose one of: { $choices }
error-twice = “{ $name }” stands more than once in the address. Write it once.
error-from-to = The period runs from { $from } to { $to }, which is backwards. Exchange the two.
error-too-many = The selection has more than { $most } rows. Choose fewer areas or a shorter period.
error-no-figures = There are no figures to choose from in this epoch.

jobcentre-title = Jobcentre { $name }
jobcentre-lede = Cluster { $cluster }, Region { $region }.
jobcentre-members = Covers
report-pdf = Report as PDF
report-docx = Report as Word
compare-cluster = Compare with the cluster
compose-from-here = Compose figures of your own
targets = Result targets
targets-explained = The path runs straight from the zero point to the target. The level is the mean of the newest three months without season; outside the limits lies an area on its path only once in twenty times. The limits follow the season, the path does not. The targets are examples.
no-targets = There are no result targets for this jobcentre.
figures-as-table = Show the figures as a table
said-drifting = The level is { $level } in { $period }, where { $expected } was expected on the path to { $target } on { $date }. It is on the wrong side of the limit { $limit }; the probability that chance does so is { $chance }. Probability of reaching the target if it goes on as in the last year: { $reach }.
said-on_track = The level is { $level } in { $period }, where { $expected } was expected on the path to { $target } on { $date }; the limit is { $limit }. It is not twice in a row farther from the path than chance explains. Probability of reaching the target if it goes on as in the last year: { $reach }.
said-insufficient = Too little is known to judge the path to { $target } on { $date }. The level in { $period }: { $level }.
said-incomplete = Figures of { $period } are incomplete, so the path to { $target } on { $date } is not judged.
said-source_late = The newest period is late, so the path to { $target } on { $date } is not judged.
scorecard = Scorecard
scorecard-explained = KL's three results and the savings potential, beside the year before and the cluster. The arrow tells how it went since the year before; the disc tells where the jobcentre stands in its cluster.
scorecard-caption = { $benefit }, { $period }
no-scorecard = There is no scorecard for this jobcentre.
choose-benefit = Benefit
show = Show
measure-more = More in work (flere i job)
measure-faster = Faster into work (hurtigere i job)
measure-staying = Staying in work (fastholdelse i job)
measure-potential = Savings potential (besparelsespotentiale)
compared-by = compared in { $unit }
arrow-better = better
arrow-worse = worse
arrow-same = unchanged
no-third = not placed
local-targets = Targets for figures from own systems
local-targets-explained = Figures made from payments, cases and wages. They are held against the path to the target. Whether chance explains where they lie is said above, for the jobcentre’s own counts and percentages.
no-local-targets = There are no targets for figures from own systems here.
vintages = Earlier versions of the figures
vintages-explained = The newest months change when they are published again. Here stands what the newest figures are expected to settle at, and what has changed already.
settling = Figures that are not final yet
revisions = The latest changes of published figures
no-revisions = No published figure has changed yet.
completeness = Completeness of the deliveries
completeness-explained = What has arrived of what is expected, by source and period. Counts of the municipality's own systems are rounded to tens.
completeness-caption = Received / expected
not-expected = nothing expected
no-deliveries = No deliveries yet.

chart-empty = no figures to show
chart-value = value
chart-path = path to the target
chart-level = level (3 months)
chart-limits = limits of chance
chart-target-title = { $name }: value, level and path to the target
chart-table-below = The same figures stand in the table below.
chart-too-many = There are too many areas or groups for a chart. Choose 40 at most.

compare-title = Compare
compare-lede = Jobcentres, municipalities, clusters or regions side by side in one indicator.
choose-indicator = Indicator
choose-period = Period
choose-kind = Areas
choose-within = Within
unit-is = Unit: { $unit }.
better-up = Higher is better.
better-down = Lower is better.
better-none = Neither higher nor lower is better in itself.
ranked-by-level = The order is by level.
ranked-by-change = The order is by the development since the year before, for large areas have more of everything.
compare-chart-level = { $name }: level
compare-chart-change = { $name }: development since the year before
compare-cut = The chart shows { $drawn } of { $all }: the first and the last. The table has all.
no-rank = no rank
no-last-year = no figure of the year before

compose-title = Compose figures of your own
compose-lede = Choose a measure, areas, periods and a breakdown. The address of the page is the whole choice: keep it, and it shows the same again.
compose-step-1 = 1. What is measured
compose-step-2 = 2. Which kind of areas
compose-step-3 = 3. Selection
official-figures = Official figures
own-figures = Figures from own systems
choose-this = Choose
choose-areas = Areas
choose-areas-help = No choice is all. Hold Ctrl to choose several.
choose-cut = Breakdown
choose-from = From
choose-to = To
source-is = Source: { $source }.
other-epoch = The address was made at epoch { $asked }. The figures here are of epoch { $number } and may have changed since.
rows = { $count ->
    [one] { $count } row
   *[other] { $count } rows
}
rows-cut = The page shows the first { $shown } of { $all } rows. The files have them all.
download = Download as
permalink = Link to just this selection

theory-title = Theory of change
theory-lede = The ministry's goals and sub-goals with the indicators, activities and resources that belong to them, for the whole country.
theory-association = The tree shows what goes together in time. It never says that one is the cause of the other.
goal-known = { $known } of { $all } indicators are known.
most-desired = Most moved as desired.
most-other = Most moved the other way.
most-not = No majority moved.
goal-activities = { $delivered } of { $known } known activities are delivered ({ $all } in all).
waits-indicator = It waits for figures of the indicators.
waits-activity = It waits for figures of the activities.
waits-time = What was done could not show in the result yet.
in-a-year = in a year
delivered = delivered
not-delivered = not delivered
delivered-from = (from { $level } on)
moved-desired = moves as desired
moved-other = moves the other way
moved-not = no more than chance or the threshold
more-about = More about { $name }
why-not-fed = Why there are no figures
how-differs = How the figure differs
owner = Owner
lag = Lag today
shows-after = Shows in the result after

about-title = Method and reservations
about-lede = What the words beside the figures mean, what is hidden and why, and how it is decided whether an area drifts from its target.
about-statuses = Status of the figures
about-disclosure = Disclosure control
about-disclosure-1 = Counts of 1-4 persons are hidden everywhere: on pages, in files, in metrics and in differences of versions.
about-disclosure-2 = Nor may a hidden figure be worked out. So further figures are hidden until no sum or difference of visible ones gives it away. A figure that was hidden once stays hidden for its period.
about-drift = When an area drifts from its target
about-drift-1 = The level is the mean of the newest three months without season. It is held against the path from the level that the area really had at the zero point. At most one finding in twenty may be chance, over all targets at once, and two periods in a row must say the same.
about-epochs = Epochs
about-epochs-1 = An epoch is one consistent state of all tables. It is committed whole or not at all, and a page shows one only. The definitions and reference tables behind this epoch have these checksums:
about-sql = Definitions (SQL)
about-reference = Reference tables
about-decisions = Decisions
about-decisions-1 = Why it is as it is stands in the source code:
about-indicators = Indicators
about-indicators-caption = Every indicator, its unit, purpose and source

report-title = Overview: Jobcentre { $name }
report-subtitle = Cluster { $cluster }, Region { $region }. Municipalities: { $members }.
report-made = Epoch { $epoch }, as of { $as_of }, committed { $committed }
report-page = Page
report-method = Reservations
report-method-text = Hidden figures have 1-4 persons behind them or could give such a figure away. Provisional figures usually change at the next release. A missing figure is never nought. The targets are examples, nobody's goals.
whole-of = { $whole } of { $known }
nothing-missing = none
