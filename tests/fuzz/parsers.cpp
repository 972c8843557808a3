// Damaged word vectors against the compiled reader, under AddressSanitizer and UndefinedBehaviorSanitizer:
//
//     g++ -std=c++17 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -I src/fastembed/_native
//         tests/fuzz/parsers.cpp -o parsers && ./parsers 1000000
//
// Each execution makes a file, text or word2vec binary, damages it and reads it twice: in one block and in small ones.
// Both must find the same rows and the same fault, and for text those that a plain reader finds, which cuts lines into
// strings and uses strtod. Arguments: executions, seed.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>

#include "reader.hpp"

using lines::Fault;
using reader::Outcome;
using reader::Reader;
using std::string;
using std::vector;

struct Result {
    vector<string> words;
    vector<float> values;
    Fault fault = Fault::none;
    ptrdiff_t rows = 0;         // read before the fault or the end
    bool operator==(const Result& other) const {
        return words == other.words && fault == other.fault && rows == other.rows
            && values.size() == other.values.size()
            && (values.empty() || !std::memcmp(values.data(), other.values.data(), values.size() * 4));
    }
};

struct Case {
    string content;
    ptrdiff_t dim, limit, records;      // records: -1 for text
    bool strict;
    vector<string> wanted;              // empty: all
};

// One block of exactly these bytes and the padding behind them: what is read further on, the sanitizer sees.
static Result read_in_blocks(const Case& given, size_t block_size) {
    Result result;
    Reader reader(given.dim, given.limit, given.strict);
    if (!given.wanted.empty())
        reader.filter();
    for (const string& word : given.wanted)
        reader.want(word.data(), static_cast<ptrdiff_t>(word.size()));
    string rest;
    const bool text = given.records < 0;
    for (size_t done = 0; reader.fault() == Fault::none;) {
        const size_t count = std::min(block_size, given.content.size() - done);
        const bool last = count < block_size;
        string bytes = rest + given.content.substr(done, count);
        done += count;
        if (text && last && !bytes.empty() && bytes.back() != '\n')
            bytes += '\n';
        const size_t size = bytes.size();
        char* block = static_cast<char*>(std::malloc(size + numbers::PADDING));
        std::memcpy(block, bytes.data(), size);
        std::memset(block + size, '7', numbers::PADDING);       // digits: nothing may depend on them
        const ptrdiff_t used = text ? reader.split_text(block, block + size)
                                    : reader.split_binary(block, block + size, given.records - reader.rows(), last);
        for (ptrdiff_t k = reader.chunks(); k-- > 0;)
            Reader::read(&reader, k);
        Outcome outcome;
        while ((outcome = reader.decide()) == Outcome::undecodable) {
            const reader::Row row = reader.undecodable();
            string word;
            for (size_t k = 0; k < row.size; ++k)
                if (static_cast<unsigned char>(row.word[k]) < 0x80)
                    word += row.word[k];
            reader.decided_as(word.data(), static_cast<ptrdiff_t>(word.size()));
        }
        if (outcome != Outcome::fault) {
            result.values.resize(static_cast<size_t>(reader.kept() * given.dim));
            reader.set_table(result.values.data());
            for (ptrdiff_t k = reader.chunks(); k-- > 0;)
                Reader::copy(&reader, k);
        } else {
            (void)lines::shape(reader.line().begin, text ? reader.line().end : reader.line().begin);
        }
        rest.assign(block + used, size - static_cast<size_t>(used));
        std::free(block);
        if (last || outcome == Outcome::finished)
            break;
    }
    result.fault = reader.fault();
    result.rows = reader.rows();
    if (result.fault != Fault::none)
        result.values.clear();
    for (ptrdiff_t k = 0; result.fault == Fault::none && k < reader.words().size(); ++k) {
        const vector<int64_t>& offsets = reader.words().offsets();
        const size_t begin = static_cast<size_t>(offsets[static_cast<size_t>(k)]);
        result.words.emplace_back(reader.words().blob().data() + begin,
                                  static_cast<size_t>(offsets[static_cast<size_t>(k) + 1]) - begin);
    }
    return result;
}

static bool plain_number(const string& field, float* value) {
    size_t k = !field.empty() && (field[0] == '-' || field[0] == '+'), digits = 0;
    while (k < field.size() && numbers::is_digit(field[k]))
        ++k, ++digits;
    if (k < field.size() && field[k] == '.')
        for (++k; k < field.size() && numbers::is_digit(field[k]); ++k)
            ++digits;
    if (!digits)
        return false;
    if (k < field.size() && (field[k] == 'e' || field[k] == 'E')) {
        ++k;
        k += k < field.size() && (field[k] == '-' || field[k] == '+');
        const size_t start = k;
        while (k < field.size() && numbers::is_digit(field[k]))
            ++k;
        if (k == start)
            return false;
    }
    const double nearest = std::strtod(field.c_str(), nullptr);
    if (k != field.size() || std::fabs(nearest) >= numbers::TOO_LARGE)
        return false;
    *value = static_cast<float>(nearest);
    return true;
}

// The rules of a text, written down a second time without an eye on speed.
static Result read_plainly(const Case& given) {
    Result result;
    std::set<string> seen, wanted(given.wanted.begin(), given.wanted.end()), starts;
    for (const string& word : wanted)
        starts.insert(word.substr(0, word.find_first_of(" \t")));
    bool blank = false;
    for (size_t place = 0; place < given.content.size();) {
        if (result.rows == given.limit || (!wanted.empty() && seen.size() == wanted.size()))
            return result;
        const size_t newline = std::min(given.content.find('\n', place), given.content.size());
        string line = given.content.substr(place, newline - place);
        place = newline + 1;
        while (!line.empty() && string(" \t\r").find(line.back()) != string::npos)
            line.pop_back();
        if (line.empty()) {
            blank = true;
            continue;
        }
        const auto fail = [&](Fault fault) {
            result.fault = fault;
            result.words.clear();
            result.values.clear();
            return result;
        };
        if (blank)
            return fail(Fault::blank);
        const string start = line.substr(0, line.find_first_of(" \t"));
        const bool start_is_utf8 = words::is_utf8(start.data(), start.data() + start.size());
        if (!wanted.empty() && !starts.count(start) && (given.strict || start_is_utf8)) {
            ++result.rows;
            continue;
        }
        vector<string> fields;          // from behind
        size_t end = line.size();
        for (ptrdiff_t k = 0; k < given.dim; ++k) {
            while (end > 0 && lines::is_blank(line[end - 1]))
                --end;
            const size_t begin = end ? line.find_last_of(" \t", end - 1) : string::npos;
            if (begin == string::npos)
                return fail(Fault::few);
            fields.push_back(line.substr(begin + 1, end - begin - 1));
            end = begin + 1;
        }
        while (end > 0 && lines::is_blank(line[end - 1]))
            --end;
        string word = line.substr(0, end);
        vector<float> row(fields.size());
        for (size_t k = 0; k < fields.size(); ++k)
            if (!plain_number(fields[fields.size() - 1 - k], &row[k]))
                return fail(Fault::number);
        const size_t cut = word.find_last_of(" \t");
        if (cut != string::npos) {
            float ignored;
            const string last = word.substr(cut + 1);
            if (plain_number(last, &ignored) || lines::is_nan_or_inf({last.data(), last.data() + last.size()}))
                return fail(Fault::many);
        }
        if (!words::is_utf8(word.data(), word.data() + word.size())) {
            if (given.strict)
                return fail(Fault::encoding);
            string ascii;
            for (char c : word)
                if (static_cast<unsigned char>(c) < 0x80)
                    ascii += c;
            word = ascii;
        }
        ++result.rows;
        if ((!wanted.empty() && !wanted.count(word)) || !seen.insert(word).second)
            continue;
        result.words.push_back(word);
        result.values.insert(result.values.end(), row.begin(), row.end());
    }
    return result;
}

class Maker {
public:
    explicit Maker(uint64_t seed) : random_(seed) {}

    Case make() {
        Case made{"", pick(1, 5), pick(0, 3) ? ptrdiff_t(1) << 60 : pick(1, 6), -1, pick(0, 1) == 0, {}};
        const ptrdiff_t rows = pick(0, 9);
        const bool text = pick(0, 2) > 0;
        for (ptrdiff_t row = 0; row < rows; ++row) {
            string word = WORDS[pick(0, std::size(WORDS) - 1)];
            if (!pick(0, 2))
                word += std::to_string(row);
            made.content += word;
            if (!text)
                made.content += ' ';
            for (ptrdiff_t k = 0; k < made.dim; ++k) {
                const float value = std::ldexp(static_cast<float>(pick(-999, 999)), static_cast<int>(pick(-20, 20)));
                if (text)
                    made.content += (pick(0, 40) ? " " : "\t") + number(value);
                else
                    made.content.append(reinterpret_cast<const char*>(&value), 4);
            }
            if (text || !pick(0, 3))
                made.content += pick(0, 20) ? "\n" : "\r\n";
        }
        if (!text)
            made.records = std::max<ptrdiff_t>(0, rows + (pick(0, 3) ? 0 : pick(-2, 2)));
        while (!pick(0, 3))
            made.wanted.push_back(WORDS[pick(0, std::size(WORDS) - 1)]);
        for (ptrdiff_t times = pick(0, 4); times > 0; --times)
            damage(made.content);
        return made;
    }

    ptrdiff_t pick(ptrdiff_t low, ptrdiff_t high) {
        return low + static_cast<ptrdiff_t>(random_() % static_cast<uint64_t>(high - low + 1));
    }

private:
    static constexpr const char* WORDS[] = {"a", "the", ". . .", "at n@d.com", "\xc3\xa4", "1", "x y", "", "\xe2\x80\xa8"};
    static constexpr const char* PIECES[] = {
        " ", "\t", "\n", "\r", "\n\n", "nan", " -inf", "Infinity ", "1_0", "0x1p3", "1,5", "1e39", "-1e-46", "e", ".", "-", "+",
        "1e", "1e+", "99999999999999999999", "0.00000000000000000000000001", "1e999999999999", "3.4028235677973366e38",
        "3.4028235677973362e38", "1.00000005960464477539062500000000001", "\xff", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xc0\x80", "\xe2\x82", "9007199254740993", " 1 2 3 4 5 6 7 8 9",
    };

    string number(float value) {
        char text[64];
        static constexpr const char* FORMATS[] = {"%g", "%.9g", "%.17g", "%.3e", "%f", "%+.2f", "%.25f", "%.1f"};
        std::snprintf(text, sizeof text, FORMATS[pick(0, std::size(FORMATS) - 1)], static_cast<double>(value));
        return text;
    }

    void damage(string& content) {
        const size_t place = static_cast<size_t>(pick(0, static_cast<ptrdiff_t>(content.size())));
        const size_t count = static_cast<size_t>(pick(1, 12));
        switch (pick(0, 6)) {
        case 0:
            if (place < content.size())
                content[place] = static_cast<char>(content[place] ^ (1 << pick(0, 7)));
            break;
        case 1:
            content.erase(place, count);
            break;
        case 2:
            content.resize(place);
            break;
        case 3:
            content.insert(place, content.substr(static_cast<size_t>(pick(0, static_cast<ptrdiff_t>(content.size()))), count));
            break;
        case 4:
            content.insert(place, count, static_cast<char>(pick(0, 255)));
            break;
        default:
            content.insert(place, PIECES[pick(0, std::size(PIECES) - 1)]);
        }
    }

    std::mt19937_64 random_;
};

int main(int count, char** arguments) {
    const long executions = count > 1 ? std::atol(arguments[1]) : 100000;
    const uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
    Maker maker(seed);
    long faults[16] = {0}, rows = 0;
    for (long turn = 0; turn < executions; ++turn) {
        const Case made = maker.make();
        const Result whole = read_in_blocks(made, made.content.size() + 1);
        const Result parts = read_in_blocks(made, static_cast<size_t>(maker.pick(1, 40)));
        const bool same = whole == parts && (made.records >= 0 || whole == read_plainly(made));
        ++faults[static_cast<int>(whole.fault)];
        rows += whole.rows;
        if (!same) {
            std::printf("execution %ld of seed %llu differs: dim %td, limit %td, records %td, strict %d, wanted %zu\n%s\n",
                        turn, static_cast<unsigned long long>(seed), made.dim, made.limit, made.records, made.strict,
                        made.wanted.size(), made.content.c_str());
            return 1;
        }
    }
    std::printf("%ld executions, %ld rows; by fault:", executions, rows);
    for (long times : faults)
        std::printf(" %ld", times);
    std::printf("\n");
    return 0;
}
