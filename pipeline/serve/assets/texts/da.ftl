# Texts of the pages and reports, Danish. The same keys stand in en.ftl; words for codes of the tables are <kind>-<code>.

skip = Spring til indhold
brand-home = Rettidig, forsiden
nav = Hovedmenu
nav-start = Forside
nav-compare = Sammenlign
nav-compose = Sammensæt
nav-theory = Forandringsteori
nav-about = Metode
find-label = Find jobcenter
find = Find
other-language = English
epoch-note = Hvad tallene på siden bygger på
epoch = Epoke { $number }
as-of = Opgjort pr. { $date }
committed-at = Offentliggjort { $at }
seen-by = Vist for { $reader }
seen-by-all = Offentlig visning
footer = Alle tal på en side er fra samme epoke.
footer-method = Metode og forbehold
footer-tables = Tabellerne som filer

month-1 = januar
month-2 = februar
month-3 = marts
month-4 = april
month-5 = maj
month-6 = juni
month-7 = juli
month-8 = august
month-9 = september
month-10 = oktober
month-11 = november
month-12 = december
quarter-of = { $quarter }. kvartal { $year }
age-seconds = { $count } sekunder
age-minutes = { $count } minutter
age-hours = { $count } timer
age-days = { $count } dage
days = { $count ->
    [one] { $count } dag
   *[other] { $count } dage
}
months = { $count ->
    [one] { $count } måned
   *[other] { $count } måneder
}
country = Hele landet
cluster-of = Klynge { $cluster }
region-of = Region { $name }
benefit-total = Alle ydelser
points = pct.point
not-known = ikke kendt
no-figure = intet tal
nothing-here = Her er ingen tal i denne epoke.

status-final = endelig
status-provisional = foreløbig
status-incomplete = ufuldstændig
status-hidden = diskretioneret
status-missing = mangler
status_means-final = Tallet er offentliggjort og ventes ikke at ændre sig.
status_means-provisional = Tallet er det nyeste, og erfaringen er, at det ændrer sig ved næste offentliggørelse.
status_means-incomplete = En del af de ventede leverancer mangler. Tallet siger derfor noget om leverancerne og ikke kun om arbejdsmarkedet.
status_means-hidden = Der er 1-4 personer bag tallet, eller det kunne bruges til at regne sig frem til et sådant tal.
status_means-missing = Tallet findes ikke endnu. Et manglende tal er aldrig nul.
target-on_track = på sporet
target-drifting = glider fra målet
target-insufficient = kan ikke bedømmes
target-incomplete = ufuldstændige data
target-source_late = kilden er forsinket
target_means-on_track = Niveauet ligger, hvor tilfældigheder kan bringe et område, der følger vejen til målet.
target_means-drifting = To perioder i træk ligger niveauet længere fra vejen til målet, end tilfældigheder kan forklare, også når alle mål bedømmes på én gang.
target_means-insufficient = Der er under et års tal før nulpunktet, tallet er diskretioneret, eller der kendes ingen antal bag en procent.
target_means-incomplete = Tal for området mangler. Det siger intet om arbejdsmarkedet.
target_means-source_late = Den nyeste periode er ikke kommet til tiden. Det siger intet om arbejdsmarkedet.
local-reached = målet er nået
local-on_path = på vejen
local-behind = bagud
local-provisional = foreløbig
local-incomplete = ufuldstændig
local-not_known = ikke kendt
guard-reached = målet er nået
guard-reached_without_hardest = nået, men ikke for dem længst fra job
guard-not_reached = ikke nået
guard-not_yet_knowable = kan ikke vides endnu
kind-municipality = kommune
kind-jobcentre = jobcenter
kind-cluster = klynge
kind-region = region
kind-country = hele landet
kinds-municipality = Kommuner
kinds-jobcentre = Jobcentre
kinds-cluster = Klynger
kinds-region = Regioner
kinds-country = Hele landet
cause-first = første offentliggørelse
cause-late = forsinkede data
cause-correction = rettelse
cause-official_release = ny officiel offentliggørelse
cause-definition = ændret definition
completeness-complete = fuldstændig
completeness-incomplete = ufuldstændig
node-known = kendt
node-not_fed = der er endnu ingen tal
node-missing = intet afsluttet tal endnu
node-hidden = diskretioneret
node-outdated = for gammelt til at sige noget om nu
node-no_comparison = intet tal fra året før
node-indicator = indikator
node-activity = aktivitet
node-resource = ressource
diagnosis-implementation = indsatsen er ikke leveret
diagnosis-theory = leveret, men uden resultat
diagnosis-as_intended = leveret, og resultatet fulgte med
diagnosis-not_yet_knowable = kan ikke vides endnu
unit-persons = personer
unit-full_time_persons = fuldtidspersoner
unit-percent = procent
unit-spells = forløb
unit-weeks = uger
unit-kr_ = kr.
unit-mio__kr_ = mio. kr.
unit-interviews = samtaler
unit-tests = prøver
unit-decisions = afgørelser
unit-percent_of_the_labour_force = procent af arbejdsstyrken
unit-percentage_points = procentpoint
system-amanda = Sagssystem (AMANDA): tilmeldinger, samtaler, aktivering
system-yr = Ydelsesrefusion: udbetalinger
system-ky = Ydelsessystem (KY): ydelsesperioder
system-income = Indkomst: løn og timer
system-cpr = Personregister: oprindelse, flytning og død
system-sprog = Sprogskoler: danskprøver
breakdown-total = ingen opdeling
breakdown-offer = tilbud
breakdown-visitation = visitation
breakdown-sector = sektor
breakdown-age = alder
breakdown-sex = køn
breakdown-origin = oprindelse
breakdown-weeks = uger
breakdown-week = uge
breakdown-next_benefit = næste ydelse
cut-total = i alt
cut-male = mænd
cut-female = kvinder
cut-danish = dansk
cut-western = vestlig
cut-non_western = ikke-vestlig
cut-unknown = ukendt
cut-others = øvrige
cut-none = ingen
cut-private = privat
cut-public = offentlig
tercile-1 = bedste tredjedel
tercile-2 = midterste tredjedel
tercile-3 = dårligste tredjedel

start-title = Forside
start-heading = Beskæftigelsestal til tiden
start-lede = Hvor friske kilderne er, hvem der glider fra sit mål og hvorfor, og hvad der mangler. Tal, der mangler eller er forsinkede, tæller aldrig som et problem på arbejdsmarkedet.
start-glance = Overblik
tile-drifting = { $count ->
    [one] jobcenter glider fra et mål
   *[other] jobcentre glider fra et mål
}
tile-late = { $count ->
    [one] kilde er forsinket
   *[other] kilder er forsinkede
}
tile-incomplete = { $count ->
    [one] leverance er ufuldstændig
   *[other] leverancer er ufuldstændige
}
tile-jobcentres = jobcentre i alt
drifting = Hvem glider fra målet, og hvorfor
drifting-explained = Et jobcenter glider, når niveauet af de nyeste tre måneder to gange i træk ligger længere fra vejen til målet, end tilfældigheder kan forklare. Målene er eksempler og ikke vedtaget af nogen.
drifting-caption = De mest sikre først: hvor niveauet ligger, hvor det var ventet, og grænsen for tilfældigheder
drifting-more = { $count ->
    [one] Vis { $count } til
   *[other] Vis { $count } flere
}
drifting-rest = De øvrige, der glider fra målet
nobody-drifts = Ingen glider fra sit mål.
not-judged = Ikke bedømt: forsinket, ufuldstændigt eller for lidt kendt
not-judged-explained = Disse mål bedømmes ikke, før tallene er der. De står for sig selv, fordi de siger noget om data og ikke om arbejdsmarkedet.
not-judged-count = { $count ->
    [one] Vis { $count } mål
   *[other] Vis { $count } mål
}
all-judged = Alle mål er bedømt.
freshness = Hvor friske er kilderne
freshness-explained = Hver kilde har sin egen rytme. Den er forsinket, når den næste leverance er kommet senere, end den plejer. Den officielle forsinkelse er den tid, der går fra periodens slutning, til tallet offentliggøres i dag.
freshness-official = Officielle kilder
freshness-systems = Kommunernes egne systemer
not-published = ikke oplyst
replaces-none = erstatter ingen
habit-unknown = rytmen er ikke kendt endnu
late = forsinket
late-count = { $count ->
    [one] { $count } forsinket
   *[other] { $count } forsinkede
}
in-time = til tiden
late-sources = Forsinkede systemer
late-since = ventet senest { $date }
incomplete = Ufuldstændige leverancer
incomplete-explained = Der er modtaget mindre, end kilden plejer at levere for perioden. Tal, der bygger på det, er mærket som ufuldstændige.
incomplete-caption = Modtaget mod det sædvanlige, nyeste periode først
incomplete-more = { $count ->
    [one] Vis { $count } til
   *[other] Vis { $count } flere
}
incomplete-rest = De øvrige ufuldstændige leverancer
all-complete = Alle leverancer er fuldstændige.
jobcentres = Jobcentre
all-jobcentres = Alle jobcentre

column-jobcentre = Jobcenter
column-indicator = Indikator
column-value = Værdi
column-level = Niveau (3 mdr.)
column-expected = Ventet niveau
column-limit = Grænse
column-beyond = Over/under det ventede
column-chance = p-værdi
column-reach = Sandsynlighed for at nå målet
column-area = Område
column-period = Periode
column-state = Tilstand
column-source = Kilde
column-newest-period = Nyeste periode til og med
column-published = Offentliggjort
column-age = Hentet for
column-official-lag = Officiel forsinkelse
column-next-due = Næste ventes senest
column-system = System
column-sources = Kommuner
column-newest-age = Nyeste for
column-oldest-age = Ældste for
column-municipality = Kommune
column-received = Modtaget
column-usual = Sædvanligt
column-path = På vejen til målet
column-low-limit = Nedre grænse
column-high-limit = Øvre grænse
column-result = Resultat
column-own = Eget
column-last-year = Året før
column-development = Udvikling
column-own-level = Eget niveau
column-cluster = Klyngens niveau
column-best-worst = Bedste / dårligste i klyngen
column-third = Placering i klyngen
column-target = Mål for
column-goal = Mål
column-realised = Realiseret andel
column-figure = Tal
column-settles = Ventes at ende på
column-between = I 9 af 10 tilfælde mellem
column-low = Lavt skøn (5 %)
column-high = Højt skøn (95 %)
column-before = Før
column-after = Efter
column-change = Ændring
column-known = Kendt siden
column-cause = Årsag
column-complete = Fuldstændige perioder
column-incomplete = Ufuldstændige perioder
column-rank = Nr.
column-unit = Enhed
column-status = Status
column-better = Bedst
column-why = Hvorfor (engelsk)

find-title = Find jobcenter
find-several = Flere jobcentre ligner »{ $asked }«:
find-all = Skriv navnet på et jobcenter eller en kommune.
find-nothing = Intet jobcenter ligner »{ $asked }«.

error-not-found = Findes ikke
error-refused = Forespørgslen kunne ikke forstås
error-ours = Fejl hos os
error-broken = Siden kunne ikke laves. Fejlen er noteret hos den, der driver tjenesten; prøv igen om lidt.
error-not-yet = Endnu ingen tal
error-no-epoch = Der er endnu ikke offentliggjort nogen epoke. Prøv igen, når de første data er læst.
error-no-page = Der er ingen side på adressen »{ $path }«.
error-no-jobcentre = Der er intet jobcenter med koden »{ $code }«. En kode har fire cifre, fx 0101 for København.
error-near = Mente du:
error-home = Til forsiden
error-parameter = Adressen har »{ $name }«, som denne side ikke kender. Den kender: { $names }
error-value = »{ $value }« findes ikke for { $name } her. Vælg en af: { $choices }
error-twice = »{ $name }« står flere gange i adressen. Skriv den én gang.
error-from-to = Perioden går fra { $from } til { $to }, altså baglæns. Byt om på de to.
error-too-many = Udvalget har over { $most } rækker. Vælg færre områder eller en kortere periode.
error-no-figures = Her er ingen tal at vælge mellem i denne epoke.

jobcentre-title = Jobcenter { $name }
jobcentre-lede = Klynge { $cluster }, Region { $region }.
jobcentre-members = Dækker
report-pdf = Rapport som PDF
report-docx = Rapport som Word
compare-cluster = Sammenlign med klyngen
compose-from-here = Sammensæt egne tal
targets = Resultatmål
targets-explained = Vejen går lige fra nulpunktet til målet. Niveauet er gennemsnittet af de nyeste tre måneder, renset for sæson; uden for grænserne ligger et område på vejen kun én af tyve gange. Grænserne følger sæsonen, vejen gør ikke. Målene er eksempler.
no-targets = Der er ingen resultatmål for dette jobcenter.
figures-as-table = Vis tallene som tabel
said-drifting = Niveauet er { $level } i { $period }, hvor { $expected } var ventet på vejen til { $target } den { $date }. Det er på den forkerte side af grænsen { $limit }; at det er tilfældigt, har sandsynligheden { $chance }. Sandsynligheden for at nå målet, hvis det går som det sidste år: { $reach }.
said-on_track = Niveauet er { $level } i { $period }, hvor { $expected } var ventet på vejen til { $target } den { $date }; grænsen er { $limit }. Det er ikke to gange i træk længere fra vejen, end tilfældigheder kan forklare. Sandsynligheden for at nå målet, hvis det går som det sidste år: { $reach }.
said-insufficient = For lidt er kendt til at bedømme vejen til { $target } den { $date }. Niveauet i { $period }: { $level }.
said-incomplete = Tal for { $period } er ufuldstændige, så vejen til { $target } den { $date } bedømmes ikke.
said-source_late = Den nyeste periode er forsinket, så vejen til { $target } den { $date } bedømmes ikke.
scorecard = Scorekort
scorecard-explained = KL's tre resultater og besparelsespotentialet, mod året før og mod klyngen. Pilen siger, hvordan det er gået siden året før; skiven siger, hvor jobcenteret ligger i sin klynge.
scorecard-caption = { $benefit }, { $period }
no-scorecard = Der er intet scorekort for dette jobcenter.
choose-benefit = Ydelse
show = Vis
measure-more = Flere i job
measure-faster = Hurtigere i job
measure-staying = Fastholdelse i job
measure-potential = Besparelsespotentiale
compared-by = sammenlignes i { $unit }
arrow-better = bedre
arrow-worse = dårligere
arrow-same = uændret
no-third = ikke placeret
local-targets = Mål for tal fra egne systemer
local-targets-explained = Tal lavet af udbetalinger, sager og løn. De holdes op mod vejen til målet. Om tilfældigheder forklarer, hvor de ligger, står ovenfor, for jobcentrets egne antal og andele.
no-local-targets = Der er ingen mål for tal fra egne systemer her.
vintages = Tidligere udgaver af tallene
vintages-explained = De nyeste måneder ændrer sig, når de offentliggøres igen. Her står, hvad de nyeste tal ventes at ende på, og hvad der allerede er ændret.
settling = Tal, der endnu ikke er endelige
revisions = De seneste ændringer af offentliggjorte tal
no-revisions = Ingen offentliggjorte tal er ændret endnu.
completeness = Leverancernes fuldstændighed
completeness-explained = Hvad der er modtaget af det ventede, pr. kilde og periode. For kommunens egne systemer er antal afrundet til hele tiere.
completeness-caption = Modtaget / ventet
not-expected = intet ventet
no-deliveries = Ingen leverancer endnu.

chart-empty = ingen tal at vise
chart-value = værdi
chart-path = vejen til målet
chart-level = niveau (3 måneder)
chart-limits = grænser for tilfældigheder
chart-target-title = { $name }: værdi, niveau og vejen til målet
chart-table-below = De samme tal står i tabellen nedenfor.
chart-too-many = Der er for mange områder eller grupper til et diagram. Vælg højst 40.

compare-title = Sammenlign
compare-lede = Jobcentre, kommuner, klynger eller regioner side om side i én indikator.
choose-indicator = Indikator
choose-period = Periode
choose-kind = Områder
choose-within = Inden for
unit-is = Enhed: { $unit }.
better-up = Højere er bedre.
better-down = Lavere er bedre.
better-none = Hverken højere eller lavere er bedre i sig selv.
ranked-by-level = Rækkefølgen er efter niveau.
ranked-by-change = Rækkefølgen er efter udviklingen siden året før, for store områder har mere af alt.
compare-chart-level = { $name }: niveau
compare-chart-change = { $name }: udvikling siden året før
compare-cut = Diagrammet viser { $drawn } af { $all }: de første og de sidste. Tabellen har alle.
no-rank = uden nr.
no-last-year = intet tal året før

compose-title = Sammensæt egne tal
compose-lede = Vælg et mål, områder, perioder og en opdeling. Adressen på siden er hele valget: gem den, og den viser det samme igen.
compose-step-1 = 1. Hvad måles
compose-step-2 = 2. Hvilke slags områder
compose-step-3 = 3. Udvalg
official-figures = Officielle tal
own-figures = Tal fra egne systemer
choose-this = Vælg
choose-areas = Områder
choose-areas-help = Intet valg er alle. Hold Ctrl nede for at vælge flere.
choose-cut = Opdeling
choose-from = Fra
choose-to = Til
source-is = Kilde: { $source }.
other-epoch = Adressen blev lavet ved epoke { $asked }. Tallene her er fra epoke { $number } og kan være ændret siden.
rows = { $count ->
    [one] { $count } række
   *[other] { $count } rækker
}
rows-cut = Siden viser de første { $shown } af { $all } rækker. Filerne har dem alle.
download = Hent som
permalink = Link til netop dette udvalg

theory-title = Forandringsteori
theory-lede = Ministeriets mål og delmål med de indikatorer, aktiviteter og ressourcer, der hører til, for hele landet.
theory-association = Træet viser, hvad der følges ad i tid. Det siger aldrig, at det ene er årsag til det andet.
goal-known = { $known } af { $all } indikatorer er kendt.
most-desired = De fleste har bevæget sig som ønsket.
most-other = De fleste har bevæget sig den anden vej.
most-not = Der er ikke et flertal, der har bevæget sig.
goal-activities = { $delivered } af { $known } kendte aktiviteter er leveret ({ $all } i alt).
waits-indicator = Det afventer tal for indikatorerne.
waits-activity = Det afventer tal for aktiviteterne.
waits-time = Det, der er gjort, kan endnu ikke ses i resultatet.
in-a-year = på et år
delivered = leveret
not-delivered = ikke leveret
delivered-from = (fra { $level })
moved-desired = bevæger sig som ønsket
moved-other = bevæger sig den anden vej
moved-not = ikke ud over tilfældigheder eller tærsklen
more-about = Mere om { $name }
why-not-fed = Hvorfor der ingen tal er
how-differs = Hvordan tallet afviger
owner = Ansvarlig
lag = Forsinkelse i dag
shows-after = Kan ses i resultatet efter

about-title = Metode og forbehold
about-lede = Hvad ordene ved tallene betyder, hvad der skjules og hvorfor, og hvordan det afgøres, om et område glider fra sit mål.
about-statuses = Tallenes status
about-disclosure = Diskretionering
about-disclosure-1 = Antal på 1-4 personer skjules overalt: på sider, i filer, i målinger og i forskelle mellem udgaver.
about-disclosure-2 = Et skjult tal må heller ikke kunne regnes ud. Derfor skjules flere tal, indtil ingen sum eller forskel af synlige tal røber det. Et tal, der én gang er skjult, forbliver skjult for sin periode.
about-drift = Hvornår glider et område fra målet
about-drift-1 = Niveauet er gennemsnittet af de nyeste tre måneder, renset for sæson. Det holdes op mod vejen fra det niveau, området faktisk havde ved nulpunktet. Højst én af tyve udpegninger må være tilfældig, over alle mål på én gang, og to perioder i træk skal sige det samme.
about-epochs = Epoker
about-epochs-1 = En epoke er én samlet tilstand af alle tabeller. Den offentliggøres hel eller slet ikke, og en side viser altid kun én. Definitionerne og referencetabellerne bag denne epoke har disse kontrolsummer:
about-sql = Definitioner (SQL)
about-reference = Referencetabeller
about-decisions = Beslutninger
about-decisions-1 = Hvorfor det er, som det er, står i kildekoden:
about-indicators = Indikatorer
about-indicators-caption = Hver indikator, dens enhed, formål og kilde

report-title = Overblik: Jobcenter { $name }
report-subtitle = Klynge { $cluster }, Region { $region }. Kommuner: { $members }.
report-made = Epoke { $epoch }, opgjort pr. { $as_of }, offentliggjort { $committed }
report-page = Side
report-method = Forbehold
report-method-text = Diskretionerede tal har 1-4 personer bag sig eller kunne røbe et sådant tal. Foreløbige tal ændrer sig som regel ved næste offentliggørelse. Et manglende tal er aldrig nul. Målene er eksempler og ikke vedtaget af nogen.
whole-of = { $whole } af { $known }
nothing-missing = ingen
